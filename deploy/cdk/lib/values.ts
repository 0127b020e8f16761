/** The settings of a release, and the chart's values that follow from them. They are those of
 * the Terraform module and of the Pulumi component for the same settings; a test compares. */

import { readFileSync } from "fs";
import { join } from "path";

export interface Settings {
  /** The image that deploy/image builds: a tag or a digest. */
  readonly image: { readonly repository: string; readonly tag?: string; readonly digest?: string };
  /** The ConfigMap with the definitions, a file a key. */
  readonly definitionsConfigMap: string;
  /** One server that takes pushes, or several that change nothing. */
  readonly mode?: "single" | "replicated";
  /** Servers of the mode replicated; 3 if left out. */
  readonly replicas?: number;
  /** What each server has: deploy/sizes.json. */
  readonly size?: "small" | "medium" | "large";
  /** The secret of the server's certificate, or who issues one. */
  readonly tls?: { readonly secret?: string; readonly issuer?: { readonly name: string; readonly kind?: string } };
  /** The secret with the callers' tokens and that of the chart's jobs. */
  readonly tokensSecret?: string;
  /** Namespaces that may call; the release's own if left out. */
  readonly callerNamespaces?: string[];
  /** Variables of the servers. */
  readonly environment?: Record<string, string>;
  /** Annotations of the service account, such as the role that it takes. */
  readonly serviceAccountAnnotations?: Record<string, string>;
  /** When to materialize, verify and back up (single) or to refresh (replicated). */
  readonly schedules?: Partial<Record<"materialize" | "verify" | "backup" | "refresh", string>>;
}

interface Size { cpu: string; memory: string; storage: string; scratch: string }

/** Refuses what cannot be, before anything is asked of a cluster. */
function check(settings: Settings): void {
  const { image, tls, replicas, mode = "single", schedules = {} } = settings;
  const problems: [boolean, string][] = [
    [(image.tag === undefined) === (image.digest === undefined),
      "image has a tag or a digest; give one of them"],
    [tls !== undefined && (tls.secret === undefined) === (tls.issuer === undefined),
      "tls has a secret or an issuer; give one of them"],
    [settings.tokensSecret === "", "tokensSecret is the name of a secret"],
    [mode === "single" && ![undefined, 1].includes(replicas),
      "mode single has one server; leave replicas out, or set mode to replicated"],
    [mode === "replicated" && replicas !== undefined && replicas < 2,
      "mode replicated has at least two servers"],
    [mode === "single" && schedules.refresh !== undefined,
      "a refresh restarts replicas, and mode is single; use materialize"],
    [mode === "replicated" && Object.keys(schedules).some((job) => job !== "refresh"),
      "replicas change nothing; of schedules they have refresh alone"],
  ];
  for (const [isWrong, message] of problems) {
    if (isWrong) throw new Error(`${message}; found ${JSON.stringify(settings)}`);
  }
}

/** The chart's values, for the sizes of `deploy`. */
export function chartValues(settings: Settings, deploy: string): Record<string, unknown> {
  check(settings);
  const sizes: Record<string, Size> = JSON.parse(readFileSync(join(deploy, "sizes.json"), "utf8"));
  const size = sizes[settings.size ?? "small"];
  const mode = settings.mode ?? "single";
  const made: Record<string, any> = {
    mode,
    replicas: settings.replicas ?? (mode === "single" ? 1 : 3),
    image: settings.image,
    definitions: { configMap: settings.definitionsConfigMap },
    resources: {
      requests: { cpu: size.cpu, memory: size.memory },
      limits: { memory: size.memory },
    },
    storage: { size: size.storage },
    scratch: { size: size.scratch },
  };
  if (settings.tls) {
    const { secret, issuer } = settings.tls;
    const certManager = issuer && { issuer: { kind: "ClusterIssuer", ...issuer } };
    made.tls = { enabled: true, ...(secret ? { secret } : { certManager }) };
  }
  if (settings.tokensSecret) made.tokens = { secret: settings.tokensSecret };
  const environment = Object.entries(settings.environment ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (environment.length > 0) made.env = environment.map(([name, value]) => ({ name, value }));
  if (settings.callerNamespaces) {
    const peer = (name: string) =>
      ({ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } });
    made.networkPolicy = { from: settings.callerNamespaces.map(peer) };
  }
  if (Object.keys(settings.serviceAccountAnnotations ?? {}).length > 0) {
    made.serviceAccount = { annotations: settings.serviceAccountAnnotations };
  }
  for (const [job, schedule] of Object.entries(settings.schedules ?? {})) made[job] = { schedule };
  if (made.backup) made.backup.storage = { size: size.storage };
  return made;
}
