# Code bundles and checkpoints.
resource "google_storage_bucket" "shoal" {
  name                        = "${var.project}-${var.cluster}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = var.checkpoint_days
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "worker" {
  bucket = google_storage_bucket.shoal.name
  role   = "roles/storage.objectUser"
  member = google_service_account.worker.member
}
