/** An MCP server and its authorization server, as far as signing in goes. */

import type { ServerResponse } from "node:http";

import type { McpServer } from "../../src/mcp/servers.js";
import { type Seen, Server, json } from "../stub.js";

export class StubMcp extends Server {
  /** Members of RFC 8414's metadata that differ. */
  metadata: Record<string, unknown> = {};
  /** Members of RFC 9728's metadata that differ; nothing where it has none. */
  resource: Record<string, unknown> | undefined = {};
  /** Answers only as OpenID Connect Discovery asks. */
  openid = false;
  challenge = "Bearer";
  /** Redirect URIs that it registers. */
  registers: (uri: string) => boolean = () => true;
  registered: Record<string, unknown> = { client_id: "registered" };
  tokens: Record<string, unknown> = { access_token: "access", token_type: "Bearer" };

  /** As opencode's configuration has it. */
  server(more: Partial<McpServer> = {}): McpServer {
    const url = `${this.origin}/mcp`;
    const { host } = new URL(url);
    const none = { clientId: undefined, clientSecret: undefined, scope: undefined };
    return { name: "demo", title: "demo", url, host, headers: {}, ...none, ...more };
  }

  forms(): URLSearchParams[] {
    return this.seen.filter(({ path }) => path === "/token").map((one) => new URLSearchParams(one.body));
  }

  registrations(): Record<string, unknown>[] {
    const asked = this.seen.filter(({ path }) => path === "/register");
    return asked.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  }

  protected override answer({ path, body }: Seen, answer: ServerResponse): void {
    const at = this.openid ? "openid-configuration" : "oauth-authorization-server";
    switch (path.split("?")[0]) {
      case "/mcp":
        return json(answer, 401, {}, { "www-authenticate": this.challenge });
      case "/.well-known/oauth-protected-resource/mcp":
        if (!this.resource) return json(answer, 404, {});
        return json(answer, 200, {
          resource: `${this.origin}/mcp`,
          authorization_servers: [this.origin],
          ...this.resource,
        });
      case `/.well-known/${at}`:
        return json(answer, 200, {
          issuer: this.origin,
          authorization_endpoint: `${this.origin}/authorize`,
          token_endpoint: `${this.origin}/token`,
          registration_endpoint: `${this.origin}/register`,
          response_types_supported: ["code"],
          ...(this.openid ? OPENID : {}),
          jwks_uri: `${this.origin}/jwks`,
          ...this.metadata,
        });
      case "/register": {
        const { redirect_uris: uris } = JSON.parse(body) as { redirect_uris: string[] };
        if (!uris.every(this.registers)) return json(answer, 400, { error: "invalid_redirect_uri" });
        return json(answer, 201, { redirect_uris: uris, ...this.registered });
      }
      case "/token":
        return json(answer, this.tokens["error"] ? 400 : 200, this.tokens);
      default:
        return json(answer, 404, {});
    }
  }
}

const OPENID = {
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: ["ES256"],
};
