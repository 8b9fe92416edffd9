"""What a function is made of: wheels of another platform, our runtime, its model, its script; and the zip of it all."""
