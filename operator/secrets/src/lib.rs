//! Secret references, the sources that resolve them, and finding secrets where none may be.
