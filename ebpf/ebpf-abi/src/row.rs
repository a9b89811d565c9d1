//! Rows as bytes, without `unsafe`: every field is copied to the offset the compiler gave it.

/// A value that stands in a row: a fixed number of bytes, every bit pattern valid.
pub trait Field: Copy {
    /// Its bytes in the row.
    const SIZE: usize;

    /// Writes itself in native byte order. Writes nothing when `to` is not [`Self::SIZE`] long.
    fn put(&self, to: &mut [u8]);

    /// Reads what [`Self::put`] wrote; nothing when `from` is too short.
    fn take(from: &[u8]) -> Option<Self>;
}

/// A key, row or event: its bytes are its fields, nothing between them.
pub trait Row: Field {
    /// The bytes as an array, the type the map wrappers of user space want.
    type Bytes: AsRef<[u8]> + AsMut<[u8]> + Copy;

    /// The bytes the kernel sees.
    fn to_bytes(&self) -> Self::Bytes;

    /// A row from the kernel's bytes; `None` when there are too few.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::take(bytes)
    }
}

macro_rules! integer_field {
    ($($t:ty),*) => {$(
        impl Field for $t {
            const SIZE: usize = size_of::<$t>();

            #[inline]
            fn put(&self, to: &mut [u8]) {
                if to.len() == Self::SIZE {
                    to.copy_from_slice(&self.to_ne_bytes());
                }
            }

            #[inline]
            fn take(from: &[u8]) -> Option<Self> {
                Some(Self::from_ne_bytes(from.get(..Self::SIZE)?.try_into().ok()?))
            }
        }
    )*};
}

integer_field!(u8, u16, u32, u64);

impl<T: Field + Default, const N: usize> Field for [T; N] {
    const SIZE: usize = T::SIZE * N;

    #[inline]
    fn put(&self, to: &mut [u8]) {
        for (item, slot) in self.iter().zip(to.chunks_exact_mut(T::SIZE)) {
            item.put(slot);
        }
    }

    #[inline]
    fn take(from: &[u8]) -> Option<Self> {
        let mut out = [T::default(); N];
        for (item, chunk) in out
            .iter_mut()
            .zip(from.get(..Self::SIZE)?.chunks_exact(T::SIZE))
        {
            *item = T::take(chunk)?;
        }
        Some(out)
    }
}

/// Defines a row: the struct, its size and the absence of padding as assertions, and its bytes.
macro_rules! row {
    (
        $(#[$outer:meta])*
        pub struct $name:ident: $size:literal {
            $($(#[$inner:meta])* pub $field:ident: $t:ty,)*
        }
    ) => {
        $(#[$outer])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$inner])* pub $field: $t,)*
        }

        const _: () = assert!(size_of::<$name>() == $size, "the row has another size");
        const _: () = assert!(
            0 $(+ <$t as $crate::row::Field>::SIZE)* == $size,
            "the row has implicit padding"
        );

        impl $crate::row::Field for $name {
            const SIZE: usize = $size;

            fn put(&self, to: &mut [u8]) {
                $(
                    let at = core::mem::offset_of!($name, $field);
                    if let Some(part) = to.get_mut(at..at + <$t as $crate::row::Field>::SIZE) {
                        $crate::row::Field::put(&self.$field, part);
                    }
                )*
            }

            fn take(from: &[u8]) -> Option<Self> {
                Some(Self {
                    $($field: <$t as $crate::row::Field>::take(
                        from.get(core::mem::offset_of!($name, $field)..)?,
                    )?,)*
                })
            }
        }

        impl $crate::row::Row for $name {
            type Bytes = [u8; $size];

            fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $crate::row::Field::put(self, &mut bytes);
                bytes
            }
        }
    };
}
