import type { JSX } from "preact";
import { restart } from "../session.js";
import { trouble, unsupported } from "../state.js";
import { Icon } from "./Icon.js";

/** What went wrong, over everything else, so that nothing moves. */
export function TroubleCard(): JSX.Element | null {
  const now = trouble.value;
  if (!now) return null;
  return (
    <div class="toast" role="alert">
      <Icon name="warn" />
      <div>
        <h2>{now.title}</h2>
        <p>{now.text}</p>
        {now.detail && now.detail !== now.text && <p class="hint">{now.detail}</p>}
        {now.remedy === "reload" && (
          <button id="reload" type="button" class="primary" onClick={() => void restart()}>
            Reload the model
          </button>
        )}
      </div>
      <button
        type="button"
        class="square"
        aria-label="Close the message"
        onClick={() => {
          trouble.value = undefined;
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

/** What to do without WebGPU. */
export const Unsupported = (): JSX.Element => (
  <main class="card unsupported" id="unsupported">
    <h2>This page needs WebGPU</h2>
    <p>{unsupported.value}</p>
    <ul>
      <li>
        <b>Chrome, Edge, Opera, Brave</b> on Windows, macOS and ChromeOS: version 113 or later. On Android: 121.
      </li>
      <li>
        <b>Safari</b>: version 26 on macOS, iOS and iPadOS.
      </li>
      <li>
        <b>Firefox</b>: version 141 on Windows, 145 on Macs with Apple silicon.
      </li>
      <li>
        <b>Chrome on Linux</b>: turn on <code>chrome://flags/#enable-unsafe-webgpu</code> and{" "}
        <code>chrome://flags/#enable-vulkan</code>, then restart the browser.
      </li>
    </ul>
    <p>
      Already there? Look whether “Use graphics acceleration” is on in the browser's settings, and what{" "}
      <code>chrome://gpu</code> says about WebGPU.
    </p>
  </main>
);
