# After more than a day down every type of job has a backlog. A type that needs the products of another
# must not run ahead of it, so the types are let in wave by wave, each once the ones before have caught
# up with real time: generated, published and indexed.
plan "cold-start" {
  description = "Progressive restart after more than a day down"
  operation   = "start"
  applies     = downtime > duration("24h")

  # How far behind the slowest of the types that were let in is, at each of the three stages.
  probe "generated" {
    sql {
      database = "main"
      query    = "select :now - min(newest) as lag from cosims.enabled_types"
    }
  }

  probe "published" {
    http {
      url = environment.values.publication
    }
  }

  probe "indexed" {
    http {
      url = environment.values.index
    }
  }

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

    # The last backup was loaded: nothing is older than at the stop.
    gate "database-is-restored" {
      sql {
        database = "main"
        query    = "select max(id) as newest from cosims.jobs"
      }
      until    = result.newest >= try(recorded.newest_job, 0)
      every    = "10s"
      deadline = "1h"
    }
  }

  wave "independent" {
    # Before anything runs: the S1/S2 jobs search back over whole days, and must reach the stop.
    check "search-window" {
      sql {
        database = "main"
        query    = "select rlies1s2_min_search_window_days as least, rlies1s2_max_search_window_days as most from cosims.system_parameters"
      }
      condition = result.least * duration("24h") > outage && result.most * duration("24h") > outage
      error     = "the S1/S2 search window (${result.least} to ${result.most} days) is shorter than the outage: raise rlies1s2_min_search_window_days and rlies1s2_max_search_window_days first"
    }

    # First: services never start with the full list.
    step "sql" "first-types" {
      database   = "main"
      statement  = "update cosims.system_parameters set job_types_list = :types"
      params     = { types = "['fsc_rlie_job', 'rlies1_job']" }
      repeatable = true
    }

    step "nomad_job" "services" {
      files = ["nomad-jobs/*.nomad.hcl"]
      after = [step.first-types]
    }

    gate "independent-caught-up" {
      all         = [probe.generated, probe.published, probe.indexed]
      until       = result.lag < duration("1h")
      every       = "5m"
      consecutive = 3
      deadline    = "24h"
    }
  }

  wave "light" {
    # And again: hours have passed.
    check "search-window-still" {
      sql {
        database = "main"
        query    = "select rlies1s2_min_search_window_days as days from cosims.system_parameters"
      }
      condition = result.days * duration("24h") > outage
      error     = "the S1/S2 search window is shorter than the outage: raise rlies1s2_min_search_window_days first"
    }

    step "sql" "light-types" {
      database   = "main"
      statement  = "update cosims.system_parameters set job_types_list = :types"
      params     = { types = "['fsc_rlie_job', 'rlies1_job', 'sws_wds_job', 'rlies1s2_job']" }
      repeatable = true
    }

    gate "light-caught-up" {
      all         = [probe.generated, probe.published, probe.indexed]
      until       = result.lag < duration("1h")
      every       = "5m"
      consecutive = 3
      deadline    = "24h"
    }
  }

  wave "heavy" {
    # The nightly check for days without GFSC products looks back two days by itself: further from here.
    step "sql" "gfsc-daily" {
      database   = "main"
      statement  = "update cosims.system_parameters set gfsc_daily_jobs_creation_start_date = :from"
      params     = { from = date(now - outage) }
      repeatable = true
    }

    step "sql" "all-types" {
      database   = "main"
      statement  = "update cosims.system_parameters set job_types_list = :types"
      params     = { types = "['fsc_rlie_job', 'rlies1_job', 'rlies1s2_job', 'sws_wds_job', 'gfsc_job']" }
      repeatable = true
      after      = [step.gfsc-daily]
    }

    gate "heavy-caught-up" {
      all         = [probe.generated, probe.published, probe.indexed]
      until       = result.lag < duration("1h")
      every       = "5m"
      consecutive = 3
      deadline    = "24h"
    }
  }
}
