// The package's main entry is for CommonJS; the module beside it has the same types.
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
