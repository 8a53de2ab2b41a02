"""The tests: folders mirror gitpw/; e2e/ runs the real command; support/ is what they stand on."""
