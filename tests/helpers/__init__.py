"""What several tests build on: small real models, photos, packages, refusals."""
