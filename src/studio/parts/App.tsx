import type { JSX } from "preact";
import { generate } from "../generate.js";
import { adapter, loading, model, modelsOpen, phase } from "../state.js";
import { Composer } from "./Composer.js";
import { Gallery } from "./Gallery.js";
import { Icon } from "./Icon.js";
import { Models } from "./Models.js";
import { TroubleCard, Unsupported } from "./Notices.js";
import { Settings } from "./Settings.js";
import { Stage } from "./Stage.js";
import { Technical } from "./Technical.js";

/** The whole page. */
export const App = (): JSX.Element => (
  <>
    <Header />
    {phase.value === "unsupported" ? (
      <Unsupported />
    ) : (
      <main>
        <form
          autocomplete="off"
          onSubmit={(event) => {
            event.preventDefault();
            void generate();
          }}
        >
          <Composer />
          <Settings />
        </form>
        <Stage />
        <Gallery />
        <Technical />
      </main>
    )}
    <Footer />
    <Models />
    {!modelsOpen.value && <TroubleCard />}
  </>
);

function Header(): JSX.Element {
  const facts = adapter.value;
  return (
    <header>
      <h1>
        <span class="mark" aria-hidden="true" />
        webldm <span class="muted">studio</span>
      </h1>
      <p id="adapter" class="muted" title="Where the pictures are computed">
        {facts ? `${facts.name} · ${facts.dtype}` : ""}
      </p>
      <button
        id="openModels"
        type="button"
        disabled={phase.value === "unsupported"}
        aria-haspopup="dialog"
        onClick={() => {
          modelsOpen.value = true;
        }}
      >
        <Icon name="cube" />
        <span class="modelName">{model.value?.name ?? loading.value?.name ?? "Model"}</span>
      </button>
    </header>
  );
}

/** The licence of the art that the embedded model learnt from asks for the names wherever the model goes. */
const Footer = (): JSX.Element => (
  <footer>
    <p>Everything is computed on this device; nothing is sent anywhere. There is no filter on what comes out.</p>
    <p>
      The embedded model, <a href="./weights/sticker/README.md">sticker</a>, learnt from Twemoji (Twitter, Inc and other
      contributors, <a href="./weights/sticker/LICENSES/CC-BY-4.0.txt">CC-BY 4.0</a>), EmojiOne 2.3 (EmojiOne/Ranks.com,
      CC-BY 4.0), Noto Emoji and its first version (Google,{" "}
      <a href="./weights/sticker/LICENSES/Apache-2.0.txt">Apache-2.0</a>), FxEmoji (Mozilla, Apache-2.0) and Fluent
      Emoji (Microsoft, <a href="./weights/sticker/LICENSES/MIT-Fluent-Emoji.txt">MIT</a>), with words of emojibase-data
      (Miles Johnson, <a href="./weights/sticker/LICENSES/MIT-emojibase.txt">MIT</a>). webldm is under Apache-2.0.
    </p>
  </footer>
);
