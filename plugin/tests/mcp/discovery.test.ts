import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { McpError, asker } from "../../src/mcp/asking.js";
import { authorityOf } from "../../src/mcp/discovery.js";
import { json } from "../stub.js";
import { StubMcp } from "./stub.js";

process.env["NO_PROXY"] = "127.0.0.1";

let mcp: StubMcp;
before(async () => (mcp = await new StubMcp().start()));
after(() => mcp.stop());
beforeEach(() => {
  mcp.metadata = {};
  mcp.resource = {};
  mcp.openid = false;
  mcp.challenge = "Bearer";
  mcp.intercept = undefined;
});

test("the protected resource's metadata leads to the authorization server's", async () => {
  mcp.resource = { scopes_supported: ["read", "write"] };
  const { metadata, resource, scope, sendsIss } = await authorityOf(mcp.server());
  assert.equal(metadata.token_endpoint, `${mcp.origin}/token`);
  assert.equal(resource, `${mcp.origin}/mcp`);
  assert.equal(scope, "read write");
  assert.equal(sendsIss, false);
});

test("the server's own challenge says where the metadata is, and which scope it takes", async () => {
  mcp.resource = undefined;
  mcp.challenge = `Bearer resource_metadata="${mcp.origin}/elsewhere", scope="narrow"`;
  mcp.intercept = ({ path }, answer) => {
    if (path !== "/elsewhere") return false;
    const document = { resource: `${mcp.origin}/mcp/`, authorization_servers: [mcp.origin] };
    answer.writeHead(200).end(JSON.stringify(document));
    return true;
  };
  const { resource, scope } = await authorityOf(mcp.server());
  assert.equal(resource, `${mcp.origin}/mcp/`); // as it is written, with a slash
  assert.equal(scope, "narrow");
  assert.equal((await authorityOf(mcp.server({ scope: "mine" }))).scope, "mine");
});

test("a server without metadata of its own may be its own authorization server", async () => {
  mcp.resource = undefined;
  const { metadata, resource } = await authorityOf(mcp.server());
  assert.equal(metadata.issuer, mcp.origin);
  assert.equal(resource, undefined);
});

test("that iss is announced is seen, by OpenID Connect Discovery too", async () => {
  mcp.metadata = { authorization_response_iss_parameter_supported: true };
  for (const openid of [false, true]) {
    mcp.openid = openid;
    assert.equal((await authorityOf(mcp.server())).sendsIss, true);
  }
});

test("metadata of another issuer is refused, and a slash at the end is not another", async () => {
  for (const openid of [false, true]) {
    mcp.openid = openid;
    for (const issuer of ["https://other.example", `${mcp.origin}/tenant`, `${mcp.origin}//`]) {
      mcp.metadata = { issuer };
      await assert.rejects(authorityOf(mcp.server()), {
        message: new RegExp(`${mcp.origin} calls itself ${issuer}$`),
      });
    }
    mcp.metadata = { issuer: `${mcp.origin}/` };
    assert.equal((await authorityOf(mcp.server())).metadata.issuer, `${mcp.origin}/`);
  }
  mcp.metadata = {};
  mcp.resource = { authorization_servers: [`${mcp.origin}/`] };
  assert.equal((await authorityOf(mcp.server())).metadata.issuer, mcp.origin);
});

test("the headers that the configuration sets go to the server, and to nobody else", async () => {
  mcp.seen.length = 0;
  const secrets: (string | undefined)[] = [];
  mcp.intercept = (seen) => {
    secrets.push(seen.authorization);
    return false;
  };
  await authorityOf(mcp.server({ headers: { authorization: "Bearer of the company" } }));
  assert.equal(secrets.filter((one) => one).length, 1);
  assert.ok(secrets.length > 2);
});

test("what cannot be used is said", async () => {
  const refused = async (pattern: RegExp): Promise<void> => {
    await assert.rejects(authorityOf(mcp.server()), (error: Error) => {
      assert.ok(error instanceof McpError);
      assert.match(error.message, pattern);
      return true;
    });
  };
  mcp.resource = { resource: "https://other.example/mcp" };
  await refused(/another resource \(RFC 9728 3\.3\)/);
  mcp.resource = {};
  for (const [metadata, pattern] of [
    [{ response_types_supported: ["token"] }, /knows no codes/],
    [{ code_challenge_methods_supported: ["plain"] }, /PKCE/],
    [{ token_endpoint: "http://elsewhere.example/token" }, /token_endpoint is not https/],
    [{ registration_endpoint: "http://elsewhere.example/" }, /registration_endpoint is not https/],
    [{ authorization_endpoint: "javascript:alert(1)" }, /does not say how to sign in/],
  ] as const) {
    mcp.metadata = metadata;
    await refused(pattern);
  }
  mcp.metadata = {};
  mcp.intercept = ({ path }, answer) => {
    if (path === "/mcp") return false;
    answer.writeHead(404).end();
    return true;
  };
  await refused(/says nothing of OAuth/);
  await assert.rejects(authorityOf(mcp.server({ url: "http://mcp.example/" })), /not on https/);
});

test("nothing is asked that is not https, or this machine's own in a server's name", async () => {
  const ask = asker("https://mcp.example/");
  await assert.rejects(ask("http://mcp.example/metadata"), /is not https/);
  await assert.rejects(ask(`${mcp.origin}/metadata`), /this machine's own/);
});

test("a resource is the server itself, or that whose metadata was asked for", async () => {
  const found = async (path: string, resource: string, challenge = "Bearer") => {
    mcp.challenge = challenge;
    mcp.intercept = (seen, answer) => {
      if (!seen.path.includes("oauth-protected-resource")) return false;
      const document = { resource, authorization_servers: [mcp.origin] };
      json(answer, seen.path === path ? 200 : 404, document);
      return true;
    };
    return (await authorityOf(mcp.server({ url: `${mcp.origin}/mcp?api_key=a-key` }))).resource;
  };
  const well = "/.well-known/oauth-protected-resource";
  assert.equal(await found(`${well}/mcp?api_key=a-key`, `${mcp.origin}/mcp`), `${mcp.origin}/mcp`);
  assert.equal(await found(well, mcp.origin), mcp.origin);
  const named = `Bearer resource_metadata="${mcp.origin}${well}/mcp"`;
  assert.equal(await found(`${well}/mcp`, `${mcp.origin}/mcp/`, named), `${mcp.origin}/mcp/`);
  for (const [path, resource, challenge] of [
    [`${well}/mcp?api_key=a-key`, mcp.origin],
    [`${well}/mcp`, mcp.origin, named],
    ["/mine/oauth-protected-resource", mcp.origin, `Bearer resource_metadata="${mcp.origin}/mine/oauth-protected-resource"`],
    [well, `${mcp.origin}/other`],
    [well, `${mcp.origin}/?tenant=1`],
  ] as const) {
    await assert.rejects(found(path, resource, challenge), /of another resource/, `${path} ${resource}`);
  }
});

test("without iss both endpoints are at the issuer, or at a host above or below it", async () => {
  const of = async (metadata: Record<string, unknown>) => {
    mcp.metadata = metadata;
    return await authorityOf(mcp.server());
  };
  const { port } = new URL(mcp.origin);
  for (const name of ["authorization_endpoint", "token_endpoint"]) {
    for (const url of [`http://localhost:${port}/x`, "http://127.0.0.1:1/x", "https://other.example/x"]) {
      const { host } = new URL(url);
      const says = new RegExp(`its ${name} is at ${host}, and its issuer at .*RFC 9207`);
      await assert.rejects(of({ [name]: url }), says);
      await of({ [name]: url, authorization_response_iss_parameter_supported: true });
    }
  }
});

test("what is told of a server has no key of its address in it", async () => {
  const { host } = new URL(mcp.origin);
  const url = `http://user:a-password@${host}/mcp?api_key=a-key`;
  for (const change of [
    () => (mcp.resource = { resource: "https://other.example/mcp" }),
    () => (mcp.resource = { authorization_servers: ["http://elsewhere.example/?a-key"] }),
    () => (mcp.metadata = { issuer: "https://other.example" }),
    () => (mcp.metadata = { response_types_supported: 1 }),
    () => (mcp.intercept = (_seen, answer) => Boolean(answer.destroy())),
  ]) {
    change();
    await assert.rejects(authorityOf(mcp.server({ url })), ({ message }: Error) => {
      assert.doesNotMatch(message, /a-key|a-password|expected|received/);
      assert.match(message, /^demo does not say how to sign in: /);
      return true;
    });
    [mcp.resource, mcp.metadata] = [{}, {}];
  }
});

test("no redirect is followed, and no endless answer read", async () => {
  mcp.seen.length = 0;
  mcp.intercept = ({ path }, answer) => {
    if (path === "/away") answer.writeHead(307, { location: `${mcp.origin}/target` }).end();
    else answer.end("x".repeat(1_000_001));
    return true;
  };
  const ask = asker(mcp.origin);
  assert.equal((await ask(`${mcp.origin}/away`)).status, 307);
  assert.deepEqual(mcp.seen.map(({ path }) => path), ["/away"]);
  await assert.rejects(ask(`${mcp.origin}/much`), /too much/);
});
