"""What people see in a terminal. Everything here draws values that it is given; nothing decides anything."""
