# The APIs that are called.
resource "google_project_service" "used" {
  for_each = toset([
    "cloudbilling.googleapis.com", # SHOAL_PRICES=catalogue
    "compute.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "pubsub.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])
  service            = each.key
  disable_on_destroy = false
}
