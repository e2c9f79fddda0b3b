# Once in the life of an environment: what outlives every stop.
plan "bootstrap" {
  description = "Creates the buckets and the admin instance, which every stop leaves alone"
  operation   = "bootstrap"

  wave "persistent" {
    step "terraform_apply" "persistent" {
      targets = ["module.persistent"]

      expect {
        add       = 4
        addresses = ["module.persistent.*"]
      }
    }
  }
}
