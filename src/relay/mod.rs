//! One host session on one service.
