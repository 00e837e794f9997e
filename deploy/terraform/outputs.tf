output "pool" {
  description = "The `gcp` part of a pool's description; worker_nats_url is yours to add."
  value = {
    project         = var.project
    network         = google_compute_network.shoal.id
    service_account = google_service_account.worker.email
    subscription    = google_pubsub_subscription.preempted.id
    join_secret     = "projects/${var.project}/secrets/${google_secret_manager_secret.join.secret_id}"
    subnetworks     = { for region, net in google_compute_subnetwork.machines : region => net.id }
  }
}

output "provisioner" {
  description = "The account that the provisioner runs as."
  value       = google_service_account.provisioner.email
}

output "storage" {
  description = "SHOAL_STORAGE_URL of the gateway, which needs shoal-gateway[gcs], as workers shoal-worker[gcs]."
  value       = "gs://${google_storage_bucket.shoal.name}"
}
