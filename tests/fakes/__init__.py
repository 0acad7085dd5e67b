"""Stand-ins for the services that dynaferry talks to, each of which can misbehave on command."""
