# The token that workers show to NATS. Its value is no part of these files, and so of no state file:
#   printf %s "$TOKEN" | gcloud secrets versions add shoal-join --data-file=-
# Machines read the newest version when they start.
resource "google_secret_manager_secret" "join" {
  secret_id = "${var.cluster}-join"

  replication {
    auto {}
  }
  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "worker" {
  secret_id = google_secret_manager_secret.join.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.worker.member
}
