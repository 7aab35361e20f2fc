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
  | { type: "oauth"; refresh: string; access: string; expires: number; accountId?: string }
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

export interface Hooks {
  auth: {
    provider: string;
    loader(auth: () => Promise<StoredAuth | undefined>): Promise<Record<string, never>>;
    readonly methods: readonly Method[];
  };
  dispose(): Promise<void>;
}

export interface LogEntry {
  service: string;
  level: "info" | "warn" | "error";
  message: string;
}
