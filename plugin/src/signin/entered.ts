/** What the person types or pastes into opencode: the page's address, or a completion code. */

import { printable } from "../http.js";
import type { Result } from "../opencode/interface.js";
import { collect, complete } from "../relay/collecting.js";
import { NOT_IN_TIME, type OAuthLogin, typedLogins, whyOver } from "./oauth-login.js";
import { parsePaste } from "./paste.js";
import { PasteLogin } from "./paste-login.js";
import { RelayLogin } from "./relay-login.js";
import { issFits, issOf, redeemCode } from "./responses.js";
import { sameText } from "./verifiers.js";

const FAILED: Result = { type: "failed" };

/** What the person typed or pasted. A refusal leaves opencode's form open for another try. */
export async function entered(login: OAuthLogin, text: string): Promise<Result> {
  const { context, provider, target } = login;
  await target.look(context.log);
  const pasted = parsePaste(text);
  const refused = (why: string): Result => {
    context.log("warn", `what was pasted is refused: ${why}`);
    return FAILED;
  };
  if (pasted.kind === "refused") return refused(pasted.why);
  if (pasted.kind === "completion_code") return await completed(login, pasted.code);
  // opencode remembers one login a provider: the paste may belong to another person's.
  const owner = typedLogins(provider).find(({ state }) => state && sameText(state, pasted.state));
  if (owner && Date.now() > owner.deadline) owner.fail(NOT_IN_TIME);
  if (!owner || owner.isOver) {
    return refused(whyOver(pasted.state) ?? "its state is of no login under way here");
  }
  if (!(owner instanceof PasteLogin)) {
    return refused("this way takes the code of the relay's page: choose the way that pastes");
  }
  if (!issFits(owner.idp, pasted.parameters)) {
    return refused(`it is not from ${printable(owner.idp.issuer)}, its iss ${issOf(pasted.parameters)}`);
  }
  try {
    await redeemCode(owner, pasted.parameters.get("code"));
  } catch (error) {
    context.log("warn", `the pasted address did not work: ${(error as Error).message}`);
    return FAILED;
  }
  return await owner.ended;
}

/** Of the tries that a login has, those which what is typed for another does not use up. */
const KEPT = 2;

async function completed(login: OAuthLogin, code: string): Promise<Result> {
  const { log } = login.context;
  let why = "no login waits for a completion code";
  // opencode remembers one login a provider, in each of its instances.
  const others = typedLogins(login.provider).filter(
    ({ context }) => context.directory === login.context.directory,
  );
  // The form's own login first: a wrong try is counted against each login it is tried on.
  for (const other of new Set([login, ...others])) {
    if (!(other instanceof RelayLogin) || other.isOver) continue;
    if (other !== login && other.triesLeft !== undefined && other.triesLeft <= KEPT) continue;
    const { collectVerifier } = other.secrets;
    const { status } = await collect(other.discovery, other.opened, collectVerifier, 0, other.over);
    if (status !== "held" || other.isOver) continue;
    try {
      const { released, triesLeft } = await complete(other.opened, collectVerifier, code);
      if (released) {
        other.hurry();
        return await other.ended;
      }
      other.triesLeft = triesLeft;
      why = `it is wrong${triesLeft === undefined ? "" : `, ${triesLeft} tries left`}`;
    } catch (error) {
      why = `the relay cannot be reached (${(error as Error).message})`;
    }
  }
  log("warn", `the completion code is refused: ${why}`);
  return FAILED;
}
