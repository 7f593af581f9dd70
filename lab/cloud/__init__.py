"""AWS's API (moto) and the actuators that make its state real."""
