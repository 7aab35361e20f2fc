/**
 * The frame of every page, and the headers that guard it.
 *
 * The pages stand on opencode's origin, where a script would act with its password: there is none,
 * the policy forbids it, and they show nothing but our own sentences and names, escaped.
 */

import { createHash } from "node:crypto";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Text that is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}

const STYLE = `:root{color-scheme:light dark;--back:#f3f5f7;--card:#fff;--text:#1c2127;--quiet:#56606b;--line:#d5dbe1;--edge:#6d7782;--strong:#1d4f91}
@media(prefers-color-scheme:dark){:root{--back:#13161a;--card:#1c2026;--text:#e7eaee;--quiet:#a9b2bc;--line:#363d46;--edge:#87919c;--strong:#9cc3f5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:36rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,dt{color:var(--quiet);font-size:.9375rem}
header{margin:0 0 .75rem}
main{padding:1.25rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 1rem}
a{display:inline-block;padding:.5rem 0;color:var(--strong);font-weight:600}
bdi{font-weight:600}
dl{margin:1.25rem 0;padding:.25rem 0;border:solid var(--line);border-width:1px 0}
dl div{padding:.25rem 0}
dd{margin:0}
code{font:.9375rem/1.5 ui-monospace,monospace}
.note{padding:.75rem 1rem;border-left:.25rem solid var(--edge);background:var(--back)}
main>:last-child{margin-bottom:0}
:focus-visible{outline:.1875rem solid var(--strong);outline-offset:.1875rem}
@media(min-width:24rem){dl div{display:grid;grid-template-columns:6.75rem 1fr;align-items:baseline}}
@media(min-width:40rem){body{padding-top:8vh}main{padding:2rem}}`;

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; ` +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "cross-origin-opener-policy": "same-origin",
};

export function page(
  status: number,
  [title, happened, next]: readonly [string, string | Html, string | Html],
  details: Html | undefined,
  headers: Readonly<Record<string, string>> = {},
  link = html`<a href="/">Back to opencode</a>`,
): Answer {
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – opencode</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<header>opencode</header>
<main>
<h1>${title}</h1>
<p>${happened}</p>
${details ?? ""}
<p class="note">${next}</p>
<p>${link}</p>
</main>
</body>
</html>
`;
  return { status, headers: { ...HEADERS, ...headers }, body: body.text };
}

export function html(parts: TemplateStringsArray, ...values: readonly (string | Html)[]): Html {
  const texts = values.map((value) => (value instanceof Html ? value.text : escape(value)));
  return new Html(String.raw({ raw: parts }, ...texts));
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
