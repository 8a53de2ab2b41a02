"""The merge queue under fire: three mergers on real repositories, killed, frozen, raced and lied to, and what must hold."""
