"""What people see: sign-in, consent and errors, as plain HTML with one style sheet."""
