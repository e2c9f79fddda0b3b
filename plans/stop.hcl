plan "stop" {
  description = "Takes the core of the environment down; buckets and the admin instance stay"
  operation   = "stop"

  # The newest job of the database: the next start holds the restored backup against it.
  wave "before" {
    record "newest_job" {
      optional = true # a stop isn't held up by a database that is gone already

      sql {
        database = "main"
        query    = "select max(id) as newest from cosims.jobs"
      }
    }
  }

  wave "core" {
    step "terraform_destroy" "core" {
      expect {
        destroy = 13
        # Each by name: whatever else Terraform wants to touch stands out. "module.core.*" would do too.
        addresses = [
          "module.core.terraform_data.network",
          "module.core.terraform_data.subnet",
          "module.core.terraform_data.security_group",
          "module.core.terraform_data.tf_tutu",
          "module.core.terraform_data.tf_tutu_port",
          "module.core.terraform_data.tf_tutu_volume",
          "module.core.terraform_data.tf_tete",
          "module.core.terraform_data.tf_tete_port",
          "module.core.terraform_data.tf_tete_volume",
          "module.core.terraform_data.tf_tata",
          "module.core.terraform_data.tf_tata_port",
          "module.core.terraform_data.tf_titi",
          "module.core.terraform_data.tf_titi_port",
        ]
      }
    }

    gate "nomad-is-gone" {
      nomad {}
      until    = !result.reachable
      every    = "2s"
      deadline = "10m"
    }
  }
}
