# No provider: the module computes the chart's values, and whoever uses it hands them to a
# `helm_release`, to Argo CD or to a file. docs/operate/deploying.md shows each.
terraform {
  required_version = ">= 1.6"
}
