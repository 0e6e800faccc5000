"""SenseTime's SenseNova: three surfaces, of which `native` and `compatible` share keys and models, and `token_plan` has its own."""
