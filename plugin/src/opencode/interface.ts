/** The part of opencode's plugin interface that this plugin uses (opencode 1.18). */

export type Result = { type: "success" } | { type: "failed" };

export type Authorization = { url: string; instructions: string } & (
  | { method: "auto"; callback(): Promise<Result> }
  | { method: "code"; callback(text: string): Promise<Result> }
);

export type Method =
  | {
      type: "oauth";
      readonly label: string;
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

export interface Client {
  app: { log(request: { body: LogEntry }): Promise<unknown> };
  auth: {
    set(request: { path: { id: string }; body: StoredAuth }): Promise<{ error?: unknown }>;
  };
  instance: { dispose(): Promise<unknown> };
  provider: {
    oauth: {
      authorize(request: {
        path: { id: string };
        body: { method: number; inputs: Record<string, string> };
      }): Promise<unknown>;
    };
  };
}

/** What the plugin is called with: opencode, of one instance, and the plugin's own options. */
export interface Input {
  client: Client;
  directory: string;
}
export type Options = Readonly<Record<string, unknown>>;

/** The part of opencode.json that is looked at. */
export interface Config {
  provider?: Readonly<Record<string, { options?: Readonly<Record<string, unknown>> }>>;
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

export interface LogEntry {
  service: string;
  level: "info" | "warn" | "error";
  message: string;
}
