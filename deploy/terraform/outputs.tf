output "values" {
  description = "The chart's values."
  value       = { for key, value in local.all : key => value if value != null }

  precondition {
    condition     = !local.is_single || local.replicas == 1
    error_message = "mode single has one server, which holds the store, and replicas is ${local.replicas}; leave it out, or set mode to replicated."
  }
  precondition {
    condition     = local.is_single || local.replicas >= 2
    error_message = "mode replicated has at least two servers, and replicas is ${local.replicas}."
  }
  precondition {
    condition     = !local.is_single || var.schedules.refresh == null
    error_message = "schedules.refresh restarts replicas, and mode is single; use schedules.materialize."
  }
  precondition {
    condition     = local.is_single || (var.schedules.backup == null && var.schedules.verify == null && var.schedules.materialize == null)
    error_message = "replicas change nothing and are built from files; of schedules they have refresh alone."
  }
}

output "values_yaml" {
  description = "The same as a file of values."
  value       = yamlencode({ for key, value in local.all : key => value if value != null })
}
