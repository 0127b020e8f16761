variable "image" {
  description = "The image that deploy/image builds: its repository, and a tag or a digest."
  type = object({
    repository = string
    tag        = optional(string)
    digest     = optional(string)
  })
  validation {
    condition     = (var.image.tag == null) != (var.image.digest == null)
    error_message = "image has a tag or a digest; give one of them."
  }
}

variable "definitions_config_map" {
  description = "The ConfigMap with the definitions, a file a key."
  type        = string
}

variable "mode" {
  description = "single: one server that takes pushes. replicated: several that change nothing."
  type        = string
  default     = "single"
  validation {
    condition     = contains(["single", "replicated"], var.mode)
    error_message = "mode is single or replicated."
  }
}

variable "replicas" {
  description = "Servers of the mode replicated; 3 if left out."
  type        = number
  default     = null
}

variable "size" {
  description = "What each server has: small, medium or large (deploy/sizes.json)."
  type        = string
  default     = "small"
  validation {
    condition     = contains(["small", "medium", "large"], var.size)
    error_message = "size is small, medium or large."
  }
}

variable "tls" {
  description = "The secret of the server's certificate, or who issues one."
  type = object({
    secret = optional(string)
    issuer = optional(object({ name = string, kind = optional(string, "ClusterIssuer") }))
  })
  default = null
  validation {
    condition     = var.tls == null ? true : (var.tls.secret == null) != (var.tls.issuer == null)
    error_message = "tls has a secret or an issuer; give one of them."
  }
}

variable "tokens_secret" {
  description = "The secret with the callers' tokens and that of the chart's jobs."
  type        = string
  default     = null
  validation {
    condition     = var.tokens_secret == null ? true : length(var.tokens_secret) > 0
    error_message = "tokens_secret is the name of a secret; leave it out for none."
  }
}

variable "caller_namespaces" {
  description = "Namespaces that may call; the release's own if left out."
  type        = list(string)
  default     = null
}

variable "environment" {
  description = "Variables of the servers: regions and addresses of object stores."
  type        = map(string)
  default     = {}
}

variable "service_account_annotations" {
  description = "Annotations of the service account, such as the role that it takes."
  type        = map(string)
  default     = {}
}

variable "schedules" {
  description = "When to materialize, verify and back up (single) or to refresh (replicated)."
  type = object({
    materialize = optional(string)
    verify      = optional(string)
    backup      = optional(string)
    refresh     = optional(string)
  })
  default = {}
}
