# Makes and removes the instances on which the scientific software runs.
#
# The largest of the six, and the one that finds no room first. Where it stays pending, lower cpu to
# 1000 here, so that the change outlives the next start.
job "worker_pool_management" {
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

  group "worker_pool_management" {
    task "worker_pool_management" {
      driver = "docker"

      config {
        image = "registry.example.com/cosims/cosims/worker_pool_management:git-5d20c8f1"
      }

      env {
        COSIMS_DB_HTTP_API_BASE_URL = "http://${meta.database_host}:3000"
      }

      resources {
        cpu    = 1500
        memory = 1024
      }
    }
  }
}
