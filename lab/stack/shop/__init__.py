"""The shop that the lab's users visit: a front service that they talk to and a back service that holds goods and orders."""
