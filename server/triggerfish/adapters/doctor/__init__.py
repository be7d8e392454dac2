"""What `triggerfish doctor` looks at: what DNS says of the sender, and the machine that mail leaves from."""
