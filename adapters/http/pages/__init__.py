"""The pages for users: sign-in, consent, account and errors. HTML with one style sheet, no scripts."""
