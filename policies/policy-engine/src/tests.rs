mod differential;
mod random;
mod worlds;
