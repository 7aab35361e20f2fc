/** The part of opencode's plugin interface that this plugin uses (opencode 1.18). */

export type Result = { type: "success" } | { type: "failed" };

export type Authorization = { url: string; instructions: string } & (
  | { method: "auto"; callback(): Promise<Result> }
  | { method: "code"; callback(text: string): Promise<Result> }
);

/** What opencode asks before a sign-in begins. */
export interface Prompt {
  type: "select";
  key: string;
  message: string;
  options: readonly { label: string; value: string; hint: string }[];
}

export type Method =
  | {
      type: "oauth";
      readonly label: string;
      readonly prompts?: readonly Prompt[];
      authorize(inputs?: Record<string, string>): Promise<Authorization>;
    }
  | { type: "api"; label: string };

export type StoredAuth =
  | {
      type: "oauth";
      refresh: string;
      access: string;
      expires: number;
      accountId?: string;
      /** Of GitLab its address; of gateways, whose issuer this plugin keeps there, the same. */
      enterpriseUrl?: string;
    }
  | { type: "api"; key: string };

/** What the plugin is called with: opencode, of one instance, and the plugin's own options. */
export interface Input {
  client: Client;
  directory: string;
}
export type Options = Readonly<Record<string, unknown>>;

export interface Client {
  /** What opencode's API has and the client no method for. */
  _client: { get(request: { url: string }): Promise<{ data?: unknown }> };
  app: { log(request: { body: LogEntry }): Promise<unknown> };
  auth: {
    set(request: { path: { id: string }; body: StoredAuth }): Promise<{ error?: unknown }>;
  };
  instance: { dispose(): Promise<unknown> };
  mcp: {
    status(): Promise<{ data?: Readonly<Record<string, McpStatus>> }>;
    connect(request: { path: { name: string } }): Promise<unknown>;
  };
  provider: {
    oauth: {
      authorize(request: {
        path: { id: string };
        body: { method: number; inputs: Record<string, string> };
      }): Promise<unknown>;
    };
  };
}

export interface McpStatus {
  status: string;
}

/** The part of opencode.json that is read or changed here. */
export interface Config {
  mcp?: Readonly<Record<string, McpEntry>>;
  provider?: Record<string, unknown>;
  disabled_providers?: readonly string[];
  enabled_providers?: readonly string[];
}

export interface McpEntry {
  type?: string;
  url?: string;
  enabled?: boolean;
  headers?: Readonly<Record<string, string>>;
  oauth?: false | { clientId?: string; clientSecret?: string; scope?: string };
}

/** What the requests of a provider's models are made with. */
export interface ModelOptions {
  apiKey?: string;
  fetch?: typeof fetch;
}

export interface Auth {
  provider: string;
  loader(auth: () => Promise<StoredAuth | undefined>): Promise<ModelOptions>;
  readonly methods: readonly Method[];
}

export interface Hooks {
  /** Called before anything else. */
  config?(config: Config): Promise<void>;
  readonly auth?: Auth | undefined;
  dispose?(): Promise<void>;
}

/** Of a provider that opencode always has. */
export type SignInHooks = Required<Pick<Hooks, "dispose">> & { readonly auth: Auth };

/** Of an export that adds a provider to opencode's list. */
export interface ListedHooks extends Required<Pick<Hooks, "config" | "dispose">> {
  readonly auth: Pick<Auth, "provider" | "methods"> | undefined;
  readonly provider: {
    readonly id: string;
    models(provider: { models: unknown }): Promise<unknown>;
  };
}

export interface LogEntry {
  service: string;
  level: "info" | "warn" | "error";
  message: string;
}
