# Asks the catalogues for new input products and inserts a job for each into the database.
# Which types of jobs it makes stands in cosims.system_parameters (job_types_list).
job "job_creation" {
  datacenters = ["*"]
  type        = "service"

  update {
    max_parallel      = 1
    health_check      = "task_states"
    min_healthy_time  = "5s"
    healthy_deadline  = "3m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  group "job_creation" {
    task "job_creation" {
      driver = "docker"

      config {
        image = "registry.example.com/cosims/cosims/job_creation:git-5d20c8f1"
      }

      env {
        COSIMS_DB_HTTP_API_BASE_URL = "http://${meta.database_host}:3000"
        CSI_SIP_DATA_BUCKET         = "${meta.sip_data_bucket}"
      }

      resources {
        cpu    = 1000
        memory = 1024
      }
    }
  }
}
