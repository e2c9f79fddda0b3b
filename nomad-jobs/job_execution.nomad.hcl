# Hands configured jobs to the pool of workers and follows them until they end.
job "job_execution" {
  datacenters = ["*"]
  type        = "service"

  # Read by blackstart alone: this service starts once those are healthy.
  meta {
    depends_on = "job_configuration, worker_pool_management"
  }

  update {
    max_parallel      = 1
    health_check      = "task_states"
    min_healthy_time  = "5s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "job_execution" {
    count = 2

    task "job_execution" {
      driver = "docker"

      # Jobs in hand are given back to the database before it goes.
      kill_timeout = "20s"

      config {
        image = "registry.example.com/cosims/cosims/job_execution:git-5d20c8f1"
      }

      env {
        COSIMS_DB_HTTP_API_BASE_URL = "http://${meta.database_host}:3000"
        CSI_SIP_DATA_BUCKET         = "${meta.sip_data_bucket}"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
