// Synthesizes the CDK construct for each of the cases, and for one with a bucket, and prints
// what CloudFormation would be told: the values of each chart, and who may read the bucket.
const { App, Stack, aws_eks: eks, aws_kms: kms, aws_s3: s3 } = require("aws-cdk-lib");
const { Template } = require("aws-cdk-lib/assertions");
const { KubectlV35Layer } = require("@aws-cdk/lambda-layer-kubectl-v35");

const [compiled, deploy, ...cases] = process.argv.slice(2);
const { Hitherto, chartValues } = require(compiled);

const stack = new Stack(new App(), "Features");
const cluster = new eks.Cluster(stack, "Cluster", {
  version: eks.KubernetesVersion.of("1.35"),
  kubectlLayer: new KubectlV35Layer(stack, "Kubectl"),
  defaultCapacity: 0,
});
const all = cases.map((text) => JSON.parse(text));
all.forEach((settings, number) => new Hitherto(stack, `Case${number}`, { cluster, settings, deploy }));
const sources = new s3.Bucket(stack, "Lake", {
  encryptionKey: new kms.Key(stack, "Key", { enableKeyRotation: true }),
  enforceSSL: true,
  versioned: true,
});
new Hitherto(stack, "Reading", { cluster, settings: all[0], deploy, sources, namespace: "ml" });

const refused = [];
for (const wrong of [{ replicas: 2 }, { tls: {} }, { tokensSecret: "" }, { mode: "replicated", replicas: 1 },
  { mode: "replicated", schedules: { backup: "@daily" } }, { schedules: { refresh: "@daily" } },
  { image: { repository: "x" } }]) {
  try {
    chartValues({ ...all[0], ...wrong }, deploy);
  } catch (error) {
    refused.push(error.message);
  }
}

const template = Template.fromStack(stack);
const charts = Object.values(template.findResources("Custom::AWSCDK-EKS-HelmChart"));
const values = Object.fromEntries(charts.map(({ Properties: chart }) => [chart.Release, chart.Values]));
const policies = Object.values(template.findResources("AWS::IAM::Policy"));
console.log(JSON.stringify({ values, policies, refused }));
