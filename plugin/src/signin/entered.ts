/** What the person types or pastes into opencode: the page's address, or a completion code. */

import type { Result } from "../opencode/interface.js";
import { collect, complete } from "../relay/collecting.js";
import { noticeDisconnect } from "./accounts.js";
import { parsePaste } from "./paste.js";
import { NOT_IN_TIME, type RelayLogin, relayLogins, whyOver } from "./relay-login.js";
import { issFits, issOf, redeemCode } from "./responses.js";
import { sameText } from "./verifiers.js";

/** The relay cannot tell it from a sign-in that was given up, so its own log says `cancelled`. */
const PAST_THE_RELAY =
  "the sign-in was finished by a pasted address, past the relay: there it ends as cancelled";

const FAILED: Result = { type: "failed" };

/** What the person typed or pasted. A refusal leaves opencode's form open for another try. */
export async function entered(login: RelayLogin, text: string): Promise<Result> {
  const { log } = login.context;
  await noticeDisconnect(log);
  const pasted = parsePaste(text);
  if (pasted.kind === "refused") {
    log("warn", `what was pasted is refused: ${pasted.why}`);
    return FAILED;
  }
  if (pasted.kind === "completion_code") return await completed(login, pasted.code);
  // opencode remembers one login a provider: the paste may belong to another person's.
  const owner = relayLogins().find(
    (other) => other.byCode && sameText(other.opened.state, pasted.state),
  );
  if (owner && Date.now() > owner.deadline) owner.fail(NOT_IN_TIME);
  if (!owner || owner.isOver) {
    const why = whyOver(pasted.state) ?? "its state is of no login under way here";
    log("warn", `the pasted address is refused: ${why}`);
    return FAILED;
  }
  if (!issFits(owner.idp, pasted.parameters)) {
    const why = `it is not from ${owner.idp.issuer}, its iss ${issOf(pasted.parameters)}`;
    log("warn", `the pasted address is refused: ${why}`);
    return FAILED;
  }
  try {
    await redeemCode(owner, pasted.parameters.get("code"));
  } catch (error) {
    log("warn", `the pasted address did not work: ${(error as Error).message}`);
    return FAILED;
  }
  const result = await owner.ended;
  if (result.type === "success") log("info", PAST_THE_RELAY);
  return result;
}

async function completed(login: RelayLogin, code: string): Promise<Result> {
  const { log } = login.context;
  const byCode = relayLogins().filter((other) => other.byCode);
  let why = "no login waits for a completion code";
  // The form's own login first: a wrong try is counted against each login it is tried on.
  for (const other of [login, ...byCode.filter((candidate) => candidate !== login)]) {
    if (other.isOver) continue;
    const { collectVerifier } = other.secrets;
    const { status } = await collect(other.discovery, other.opened, collectVerifier, 0, other.over);
    if (status !== "held" || other.isOver) continue;
    try {
      const { released, triesLeft } = await complete(other.opened, collectVerifier, code);
      if (released) {
        other.hurry();
        return await other.ended;
      }
      why = `it is wrong${triesLeft === undefined ? "" : `, ${triesLeft} tries left`}`;
    } catch (error) {
      why = `the relay cannot be reached (${(error as Error).message})`;
    }
  }
  log("warn", `the completion code is refused: ${why}`);
  return FAILED;
}
