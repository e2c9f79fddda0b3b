plan "start" {
  description = "Starts the environment again within a day of its stop"
  operation   = "start"
  applies     = downtime <= duration("24h")

  wave "infrastructure" {
    step "terraform_apply" "core" {
      expect {
        add = 13
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

    gate "nomad-is-ready" {
      nomad {}
      until    = result.ready && result.nodes >= 2
      every    = "2s"
      deadline = "15m"
    }
  }

  wave "services" {
    step "nomad_job" "services" {
      files = ["nomad-jobs/*.nomad.hcl"]
    }
  }
}
