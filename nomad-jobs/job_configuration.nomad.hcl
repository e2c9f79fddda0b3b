# Gives the jobs that job_creation inserted their inputs, auxiliary data and parameters.
job "job_configuration" {
  datacenters = ["*"]
  type        = "service"

  # Read by blackstart alone: this service starts once those are healthy.
  meta {
    depends_on = "job_creation"
  }

  update {
    max_parallel      = 1
    health_check      = "task_states"
    min_healthy_time  = "5s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "job_configuration" {
    task "job_configuration" {
      driver = "docker"

      config {
        image = "registry.example.com/cosims/cosims/job_configuration:git-5d20c8f1"
      }

      env {
        COSIMS_DB_HTTP_API_BASE_URL = "http://${meta.database_host}:3000"
      }

      resources {
        cpu    = 1000
        memory = 1024
      }
    }
  }
}
