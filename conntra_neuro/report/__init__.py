"""What people and scripts read: units, terminal tables, JSON documents."""
