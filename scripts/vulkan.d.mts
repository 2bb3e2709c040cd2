export * from "../bin/vulkan.mjs";
