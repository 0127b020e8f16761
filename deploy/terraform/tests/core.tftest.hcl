variables {
  image                  = { repository = "registry.example.org/hitherto", tag = "0.1.0" }
  definitions_config_map = "features"
}

run "one_server" {
  command = plan
  assert {
    condition     = output.values.mode == "single" && output.values.replicas == 1
    error_message = "a single server is what is made unless something else is said"
  }
  assert {
    condition     = !contains(keys(output.values), "tls")
    error_message = "what is not said is left to the chart"
  }
  assert {
    condition     = yamldecode(output.values_yaml) == jsondecode(jsonencode(output.values))
    error_message = "the file says the same"
  }
}

run "three_replicas" {
  command = plan
  variables { mode = "replicated" }
  assert {
    condition     = output.values.replicas == 3
    error_message = "three replicas are what is made unless something else is said"
  }
}

run "two_writers" {
  command = plan
  variables { replicas = 2 }
  expect_failures = [output.values]
}

run "one_replica" {
  command = plan
  variables {
    mode     = "replicated"
    replicas = 1
  }
  expect_failures = [output.values]
}

run "a_backup_of_replicas" {
  command = plan
  variables {
    mode      = "replicated"
    schedules = { backup = "@daily" }
  }
  expect_failures = [output.values]
}

run "a_refreshed_writer" {
  command = plan
  variables { schedules = { refresh = "@daily" } }
  expect_failures = [output.values]
}

run "tls_without_a_secret" {
  command = plan
  variables { tls = {} }
  expect_failures = [var.tls]
}

run "an_empty_token" {
  command = plan
  variables { tokens_secret = "" }
  expect_failures = [var.tokens_secret]
}

run "an_image_that_may_be_any" {
  command = plan
  variables { image = { repository = "registry.example.org/hitherto" } }
  expect_failures = [var.image]
}

run "an_unknown_size" {
  command = plan
  variables { size = "huge" }
  expect_failures = [var.size]
}

run "an_unknown_mode" {
  command = plan
  variables { mode = "sharded" }
  expect_failures = [var.mode]
}
