"""What a parcel costs, where it goes, and what its label says."""
