locals {
  size      = jsondecode(file("${path.module}/../sizes.json"))[var.size]
  is_single = var.mode == "single"
  replicas  = coalesce(var.replicas, local.is_single ? 1 : 3)

  tls = var.tls == null ? null : {
    for key, value in {
      enabled     = true
      secret      = var.tls.secret
      certManager = var.tls.issuer == null ? null : { issuer = var.tls.issuer }
    } : key => value if value != null
  }

  all = {
    mode        = var.mode
    replicas    = local.replicas
    image       = { for key, value in var.image : key => value if value != null }
    definitions = { configMap = var.definitions_config_map }
    resources = {
      requests = { cpu = local.size.cpu, memory = local.size.memory }
      limits   = { memory = local.size.memory }
    }
    storage = { size = local.size.storage }
    scratch = { size = local.size.scratch }
    tls     = local.tls
    tokens  = var.tokens_secret == null ? null : { secret = var.tokens_secret }
    env = length(var.environment) == 0 ? null : [
      for name in sort(keys(var.environment)) : { name = name, value = var.environment[name] }
    ]
    networkPolicy = var.caller_namespaces == null ? null : {
      from = [
        for name in var.caller_namespaces :
        { namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = name } } }
      ]
    }
    serviceAccount = length(var.service_account_annotations) == 0 ? null : {
      annotations = var.service_account_annotations
    }
    materialize = var.schedules.materialize == null ? null : { schedule = var.schedules.materialize }
    verify      = var.schedules.verify == null ? null : { schedule = var.schedules.verify }
    refresh     = var.schedules.refresh == null ? null : { schedule = var.schedules.refresh }
    backup = var.schedules.backup == null ? null : {
      schedule = var.schedules.backup
      storage  = { size = local.size.storage }
    }
  }
}
