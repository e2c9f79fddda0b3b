# The environments of the reference system. To use this as a template, copy the var files of
# tfvars-examples/ to tfvars/ (which git ignores), put your own values in, and name them here.
project = "cosims"

environment "prod" {
  protected = true                            # asks for the environment's name; is never a default
  inherit   = ["DATABASE_URL", "NOMAD_TOKEN"] # credentials cross from the shell only when named

  terraform {
    dir       = "terraform"
    workspace = "prod"
    targets   = ["module.core"]
    var_files = [
      "tfvars-examples/prod_env_configuration.tfvars",
      "tfvars-examples/prod_env_secrets.tfvars",
    ]
  }

  nomad {
    address = terraform.output.nomad_address # known once module.core is there
  }

  database "main" {
    url = sensitive(env.DATABASE_URL)
  }

  values = {
    publication = "http://10.20.0.11:3000/publication/lag"
    index       = "http://10.20.0.11:3000/index/lag"
  }
}

environment "test" {
  inherit = ["DATABASE_URL", "NOMAD_TOKEN"]

  terraform {
    dir       = "terraform"
    workspace = "test"
    targets   = ["module.core"]
    var_files = [
      "tfvars-examples/test_env_configuration.tfvars",
      "tfvars-examples/test_env_secrets.tfvars",
    ]
  }

  nomad {
    address = terraform.output.nomad_address
  }

  database "main" {
    url = sensitive(env.DATABASE_URL)
  }

  values = {
    publication = "http://10.30.0.11:3000/publication/lag"
    index       = "http://10.30.0.11:3000/index/lag"
  }
}

# What `blackstart sandbox` serves, and what `rehearse` runs in memory.
environment "sandbox" {
  simulated = true

  terraform {
    dir       = "terraform"
    workspace = "sandbox"
    targets   = ["module.core"]
    var_files = [
      "tfvars-examples/test_env_configuration.tfvars",
      "tfvars-examples/test_env_secrets.tfvars",
    ]
  }

  nomad {
    address = sandbox.nomad
  }

  database "main" {
    url = sandbox.database
  }

  values = {
    publication = "${sandbox.services}/publication/lag"
    index       = "${sandbox.services}/index/lag"
  }
}
