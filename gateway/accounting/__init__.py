"""What a request costs, who pays for it, and how much they may use."""
