"""Random campaigns: tables, writers and programs, and a schedule of what befalls them."""
