"""What the Config Service decides, without I/O, clock, or framework."""
