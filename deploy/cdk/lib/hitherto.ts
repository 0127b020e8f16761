/** Hitherto for AWS CDK: the chart in an EKS cluster, and a role that may read a bucket. */

import { CfnJson } from "aws-cdk-lib";
import * as eks from "aws-cdk-lib/aws-eks";
import * as iam from "aws-cdk-lib/aws-iam";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";
import { join } from "path";

import { Settings, chartValues } from "./values";

export interface HithertoProps {
  readonly cluster: eks.Cluster;
  readonly settings: Settings;
  readonly namespace?: string;
  /** The folder `deploy` of Hitherto's repository. */
  readonly deploy: string;
  /** The release's name; that of the construct if left out. */
  readonly release?: string;
  /** A bucket of Parquet files that the servers may read, with its key. */
  readonly sources?: s3.IBucket;
}

export class Hitherto extends Construct {
  readonly values: Record<string, unknown>;

  constructor(scope: Construct, id: string, props: HithertoProps) {
    super(scope, id);
    const { cluster, settings, deploy } = props;
    const namespace = props.namespace ?? "default";
    const release = props.release ?? id.toLowerCase();
    let annotations = settings.serviceAccountAnnotations ?? {};
    if (props.sources) {
      const role = this.reader(cluster, namespace, release);
      props.sources.grantRead(role);
      annotations = { ...annotations, "eks.amazonaws.com/role-arn": role.roleArn };
    }
    this.values = chartValues({ ...settings, serviceAccountAnnotations: annotations }, deploy);
    cluster.addHelmChart(`${id}Chart`, {
      chartAsset: new Asset(this, "Files", { path: join(deploy, "helm", "hitherto") }),
      release,
      namespace,
      createNamespace: true,
      values: this.values,
    });
  }

  /** A role for the chart's service account and nobody else. */
  private reader(cluster: eks.Cluster, namespace: string, release: string): iam.Role {
    const issuer = cluster.openIdConnectProvider.openIdConnectProviderIssuer;
    const account = release.includes("hitherto") ? release : `${release}-hitherto`;
    // Keys that are known when it is deployed need a detour.
    const conditions = new CfnJson(this, "Account", {
      value: {
        [`${issuer}:aud`]: "sts.amazonaws.com",
        [`${issuer}:sub`]: `system:serviceaccount:${namespace}:${account}`,
      },
    });
    return new iam.Role(this, "Reader", {
      description: `Reads the sources of ${release}`,
      assumedBy: new iam.WebIdentityPrincipal(
        cluster.openIdConnectProvider.openIdConnectProviderArn, { StringEquals: conditions }),
    });
  }
}
